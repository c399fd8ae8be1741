"""What is looked for in a text: personal data, secrets, refusals, words of harm; and how a finding is taken out."""
