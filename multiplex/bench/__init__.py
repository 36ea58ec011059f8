"""Many questions under many strategies: runs that can be killed and continued, their measures and their report."""
