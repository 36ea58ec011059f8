"""Surveys of people as a measure of voices: do they answer like the people they are named after?"""
