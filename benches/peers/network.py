"""The tutorial's network in PyTorch, as the tutorial defines it."""

import torch
import torch.nn.functional as F
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 12, 5)
        self.conv3 = nn.Conv2d(12, 24, 5)
        self.conv4 = nn.Conv2d(24, 48, 5)
        self.conv5 = nn.Conv2d(48, 192, 5)
        self.class_fc1 = nn.Linear(1728, 240)
        self.class_fc2 = nn.Linear(240, 120)
        self.class_out = nn.Linear(120, 2)
        self.box_fc1 = nn.Linear(1728, 240)
        self.box_fc2 = nn.Linear(240, 120)
        self.box_out = nn.Linear(120, 4)

    def forward(self, t):
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            t = F.max_pool2d(F.relu(conv(t)), kernel_size=2, stride=2)
        t = F.avg_pool2d(F.relu(self.conv5(t)), kernel_size=4, stride=2)
        t = torch.flatten(t, start_dim=1)
        c = F.relu(self.class_fc1(t))
        c = F.relu(self.class_fc2(c))
        c = F.softmax(self.class_out(c), dim=1)
        b = F.relu(self.box_fc1(t))
        b = F.relu(self.box_fc2(b))
        return c, torch.sigmoid(self.box_out(b))
