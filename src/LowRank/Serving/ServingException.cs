namespace LowRank.Serving;

/// <summary>A request that the engine does not take, though nothing is wrong with its form.</summary>
/// <param name="refusal">Why.</param>
/// <param name="message">Why, in a sentence or two for who asked.</param>
public sealed class ServingException(ServingRefusal refusal, string message) : Exception(message)
{
    /// <summary>Why.</summary>
    public ServingRefusal Refusal => refusal;
}

/// <summary>Why a request is not taken.</summary>
public enum ServingRefusal
{
    /// <summary>As many wait as may: to be asked again later.</summary>
    Busy,

    /// <summary>The engine is ending.</summary>
    Closing,

    /// <summary>There is no adapter with this name.</summary>
    UnknownAdapter,

    /// <summary>The name is another adapter's.</summary>
    AdapterExists,

    /// <summary>The prompt leaves no room in the context.</summary>
    PromptTooLong,
}
