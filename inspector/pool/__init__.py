"""The members of a pool held against each other: who is the odd one, in what, since when. Values only, no words."""
