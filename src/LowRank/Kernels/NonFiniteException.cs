namespace LowRank;

/// <summary>What was computed or read is not finite, NaN or infinity, and no answer can be made of it. Says where it
/// arose, and what to do.</summary>
/// <param name="message">What is not finite, where that began, what to do.</param>
public sealed class NonFiniteException(string message) : Exception(message);
