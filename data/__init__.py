"""The user's data: folders on disk, their readers and checks, and the datasets that models train on."""
