"""The campaign: the runs of ``config/campaign.yaml`` made and archived one after the other, those that tell most
first."""
