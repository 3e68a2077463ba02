"""Which method for a derivative costs least, in time and in memory."""
