"""Which steps of a program re-run after an edit: pure, standard library only, Python 3.9.

`facts` says what one statement reads, binds and changes; `kinds` what its values
are at run time; `plan` puts both together. The worker keeps what has been
executed, asks for a plan, and asks again after running it until nothing is left.
"""
