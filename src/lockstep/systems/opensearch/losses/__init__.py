"""What searches would see of a record: each field's type decides, the mapping grows. Nothing is written."""
