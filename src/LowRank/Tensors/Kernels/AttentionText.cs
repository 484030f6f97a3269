using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>Queries and the keys that they see: the keys of earlier texts, all of them, and keys of their own, of which the queries' are the last.</summary>
/// <param name="Row">The row of the batch.</param>
/// <param name="Query">Its first query's place in the row.</param>
/// <param name="Queries">How many queries.</param>
/// <param name="Key">Its first own key's place in the row.</param>
/// <param name="Keys">How many own keys, no fewer than queries.</param>
/// <param name="Position">Keys of the earlier texts, all together.</param>
/// <param name="Place">Where its keys stand among those of its tree; a multiple of 4.</param>
/// <param name="FirstBefore">Where the numbers of the earlier texts begin.</param>
/// <param name="Befores">How many earlier texts.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AttentionText(int Row, int Query, int Queries, int Key, int Keys, int Position, int Place, int FirstBefore, int Befores)
{
    /// <summary>The position of its first query among all keys that it sees.</summary>
    public int QueryPosition => Position + Keys - Queries;
}
