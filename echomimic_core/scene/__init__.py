"""One person out of a picture or video, and back into it: people, crop, paste, the voices of several."""
