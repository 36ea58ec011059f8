"""Countries, regions, peoples and religions, by which an essay may introduce a name of its voices.

A people whose name is its country's with an ending (Ghanaian, Pakistani, Japanese) is told by the country.
"""

PEOPLES = """
Addis Ababa, Afghan, Afghanistan, Africa, Albania, Algeria, Amazon, Amazonia, America, Anatolia, Andean, Andes,
Andorra, Anglo, Angola, Arabia, Arctic, Argentina, Argentine, Argentinian, Armenia, Asia, Atlantic, Australia,
Austria, Azerbaijan, Bahamas, Bahrain, Balkan, Balkans, Baltic, Bangladesh, Barbados, Belarus, Belgian, Belgium,
Belize, Bengal, Benin, Bhutan, Bolivia, Bosnia, Botswana, Brazil, Britain, British, Briton, Brunei, Buenos Aires,
Bulgaria, Burkina Faso, Burkinabe, Burma, Burmese, Burundi, Cambodia, Cameroon, Canada, Canadian, Cape Town, Cape
Verde, Caribbean, Caucasus, Chad, Chile, China, Chinese, Colombia, Comoros, Congo, Congolese, Costa Rica, Croat,
Croatia, Cuba, Cypriot, Cyprus, Czech, Czechoslovakia, Dane, Danish, Denmark, Djibouti, Dominican, Dutch, East Timor,
Ecuador, Egypt, El Salvador, Emirates, Emirati, England, Eritrea, Estonia, Eswatini, Ethiopia, Europe, Fiji, Filipina,
Filipino, Finland, Finn, France, French, Gabon, Gambia, Georgia, German, Germany, Ghana, Greece, Greek, Grenada,
Guatemala, Guinea, Gulf, Guyana, Guyanese, Haiti, Himalaya, Ho Chi Minh City, Honduran, Honduras, Hong Kong, Hungary,
Iceland, Icelandic, India, Indonesia, Iran, Iraq, Ireland, Irish, Israel, Italian, Italy, Ivorian, Ivory Coast,
Jamaica, Japan, Java, Jordan, Kashmir, Kazakh, Kazakhstan, Kenya, Korea, Kosovar, Kosovo, Kuala Lumpur, Kuwait,
Kyrgyz, Kyrgyzstan, Lao, Laos, Latin, Latvia, Lebanese, Lebanon, Lesotho, Levant, Liberia, Libya, Lithuania, Los
Angeles, Luxembourg, Madagascar, Maghreb, Malagasy, Malawi, Malaysia, Maldives, Mali, Malta, Maltese, Mauritania,
Mauritius, Mediterranean, Melanesia, Mesoamerica, Mexican, Mexico, Mexico City, Micronesia, Moldova, Mongol, Mongolia,
Montenegrin, Montenegro, Moroccan, Morocco, Mozambican, Mozambique, Myanmar, Namibia, Nepal, Netherlands, New Zealand,
New Zealander, Nicaragua, Niger, Nigeria, Nigerien, Nordic, North Korea, Norway, Norwegian, Oceania, Oman, Pacific,
Pakistan, Palestine, Palestinian, Panama, Panamanian, Papua, Papua New Guinea, Paraguay, Peru, Peruvian, Philippine,
Philippines, Phnom Penh, Poland, Pole, Polish, Polynesia, Portugal, Portuguese, Puerto Rican, Puerto Rico, Qatar,
Rhodesia, Rio de Janeiro, Romania, Russia, Rwanda, Sahara, Sahel, Salvadoran, Samoa, Saudi, Saudi Arabia, Scandinavia,
Scotland, Scots, Scottish, Senegal, Serb, Serbia, Siberia, Sierra Leone, Singapore, Slovak, Slovakia, Slovene,
Slovenia, Somali, Somalia, South Africa, South Korea, Soviet, Spain, Spaniard, Spanish, Sri Lanka, Sudan, Sumatra,
Suriname, Surinamese, Swede, Sweden, Swedish, Swiss, Switzerland, Syria, São Paulo, Taiwan, Tajik, Tajikistan,
Tanganyika, Tanzania, Tel Aviv, Thai, Thailand, Tibet, Timor, Togo, Togolese, Tonga, Trinidad, Tunisia, Turk, Turkey,
Turkmen, Turkmenistan, USA, Uganda, Ukraine, Ukrainian, Uruguay, Uzbek, Uzbekistan, Vanuatu, Venezuela, Vietnam,
Wales, Welsh, Yemen, Yugoslav, Yugoslavia, Zambia, Zanzibar, Zimbabwe,

Aboriginal, Adivasi, Afro, Ainu, Akan, Amazigh, Amhara, Anishinaabe, Apache, Arab, Arabic, Aramaic, Asante, Ashanti,
Assyrian, Athenian, Aymara, Aztec, Babylonian, Balinese, Baloch, Bantu, Basque, Batak, Bedouin, Bemba, Bengali,
Berber, Byzantine, Catalan, Celtic, Cherokee, Chewa, Chicana, Chicano, Copt, Coptic, Cossack, Cree, Creole, Dakota,
Dalit, Dayak, Dinka, Dogon, Eastern, Ewe, Fang, Fante, Fula, Fulani, Ganda, Garifuna, Gikuyu, Guarani, Gujarati,
Haudenosaunee, Hausa, Hawaii, Hebrew, Hellenic, Hindi, Hmong, Hopi, Igbo, Inca, Indigenous, Inuit, Inuk, Iroquois,
Javanese, Kanak, Khmer, Kikuyu, Kongo, Kurd, Lakota, Luo, Maasai, Malay, Mandinka, Mapuche, Marathi, Maya, Mestizo,
Mixtec, Mizo, Mohawk, Mughal, Métis, Māori, Nahua, Nahuatl, Navajo, Ndebele, Nuer, Ojibwe, Oriya, Oromo, Ottoman,
Pashtun, Persia, Prussia, Punjab, Quechua, Rohingya, Roma, Roman, Rome, Ruthenian, Sanskrit, Sephardic, Shona,
Sinhala, Sinhalese, Slav, Slavic, Sotho, Sumerian, Sunda, Swahili, Sámi, Tagalog, Tamil, Tatar, Telugu, Tigray,
Tswana, Tuareg, Urdu, Uyghur, Western, Wolof, Xhosa, Yiddish, Yoruba, Zapotec, Zulu,

Anglican, Ashkenazi, Baptist, Brahmanical, Brahmin, Buddhism, Buddhist, Calvinism, Calvinist, Catholic, Christian,
Christianity, Confucian, Daoism, Daoist, Evangelical, Franciscan, Hindu, Islam, Islamic, Jain, Jesuit, Jew, Judaism,
Lutheran, Mahayana, Mennonite, Methodism, Methodist, Muslim, Orthodox, Pentecostal, Protestant, Puritan, Quaker,
Salafi, Shia, Shii, Shiite, Shinto, Sikh, Sufi, Sufism, Sunni, Taoism, Taoist, Theravada, Vedic, Zen, Zoroastrian
"""
