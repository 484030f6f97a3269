using LowRank.Data;

namespace LowRank.Tasks;

/// <summary>A task's examples.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Warnings">What the user has to know, a sentence each.</param>
public sealed record TaskData(IReadOnlyList<IExample> Examples, IReadOnlyList<string> Warnings)
{
    /// <summary>Whether a row is a conversation.</summary>
    public bool HasConversations { get; init; }
}
