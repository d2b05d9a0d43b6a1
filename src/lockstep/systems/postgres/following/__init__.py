"""What has changed: the log of a server, by logical decoding, as hints; and all that has to stand for it."""
