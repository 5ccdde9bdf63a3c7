STOP = {"the", "and", "a"}
WEIGHT = 2
