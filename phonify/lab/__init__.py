"""The webhook lab: it does to an app's webhook what providers, networks and attackers do, and judges the answers.

`forms.py` says how a provider writes its requests. `trial.py` says what a trial is, and `trials/` has all trials.
`verdicts.py` lists what an app may do wrong. `runner.py` runs the trials, and `report.py` shows their results.
`labs.py` runs labs for accounts.
"""
