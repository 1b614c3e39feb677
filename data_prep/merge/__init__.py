"""`reel data merge`: several data sets as one."""
