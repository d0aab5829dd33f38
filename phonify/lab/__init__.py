"""The webhook lab: it posts to an app's webhook as providers, networks and attackers do, and judges the answers.

`forms.py` says how a provider writes its requests. `trial.py` says what a trial is, and `trials/` has all trials.
`verdicts.py` lists what an app can do wrong. `runner.py` runs the trials, and `report.py` shows their results.
`labs.py` runs labs for accounts.
"""
