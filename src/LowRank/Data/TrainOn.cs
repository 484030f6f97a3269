namespace LowRank.Data;

/// <summary>Which tokens of prompts and conversations are learned.</summary>
public enum TrainOn
{
    /// <summary>The completion, or the assistant's turns.</summary>
    Completion,

    /// <summary>Every token.</summary>
    All,
}
