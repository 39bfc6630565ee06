"""Where frames come from: capture files and streams of them."""
