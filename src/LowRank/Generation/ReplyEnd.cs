namespace LowRank.Generation;

/// <summary>Why a reply ended.</summary>
public enum ReplyEnd
{
    /// <summary>The model ended its turn.</summary>
    Stop,

    /// <summary>It reached <see cref="GenerationOptions.MaxNewTokens"/>.</summary>
    Length,

    /// <summary>The conversation filled the model's context.</summary>
    Context,

    /// <summary>It was asked to stop.</summary>
    Cancelled,
}
