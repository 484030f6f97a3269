namespace LowRank.Hub;

/// <summary>The Hub could not be reached, or answered what cannot be used, also after repeated tries.</summary>
/// <param name="message">What was asked, what came, and what to do.</param>
/// <param name="inner">The last failure; null for an answer.</param>
public sealed class HubException(string message, Exception? inner = null) : Exception(message, inner);
