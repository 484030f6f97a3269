namespace LowRank.Tensors.Native;

/// <summary>The blocks of <see cref="ScratchMemory"/> that one operation may hold at the same time.</summary>
internal enum ScratchUse
{
    /// <summary>A packed part of a matrix.</summary>
    Panels,
}
