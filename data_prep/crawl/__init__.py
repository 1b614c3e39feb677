"""The crawler of member and film pages, for those who have the site's permission; `command` says the terms."""
