namespace LowRank.Data;

/// <summary>The tokens of prompts and conversations that are learned.</summary>
public enum TrainOn
{
    /// <summary>The completion, or the assistant's turns.</summary>
    Completion,

    /// <summary>Every token.</summary>
    All,
}
