namespace LowRank.Training;

/// <summary>Why a run came to its end.</summary>
public enum RunEnding
{
    /// <summary>All its steps were taken.</summary>
    Completed,

    /// <summary>It was told to stop; a checkpoint to resume from is saved.</summary>
    Cancelled,

    /// <summary>The held-out loss had not improved for <see cref="TrainingOptions.Patience"/> evaluations.</summary>
    NoImprovement,

    /// <summary>It had used <see cref="TrainingOptions.MaxTime"/>.</summary>
    TimeSpent,

    /// <summary>It had used <see cref="TrainingOptions.MaxTokens"/>.</summary>
    TokensSpent,
}
