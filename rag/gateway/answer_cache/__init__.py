"""Answers given again: to the same question, or one that asks the same, and to no one who may not
read what they were made of."""
