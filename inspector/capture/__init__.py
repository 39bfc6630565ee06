"""Where frames come from: capture files, streams of them, and later live interfaces."""
