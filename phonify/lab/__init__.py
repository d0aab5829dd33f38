"""The webhook lab. It posts genuine, forged and damaged events to an app's webhook, and judges the answers.

`forms.py` describes the requests of a provider. `trial.py` says what a trial is, and `trials/` has all trials.
`verdicts.py` lists what an app can do wrong. `runner.py` runs the trials, and `report.py` shows their results.
`labs.py` runs labs for accounts.
"""
