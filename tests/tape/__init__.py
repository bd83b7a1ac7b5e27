"""Records what the plugin's live view shows, for the documents."""
