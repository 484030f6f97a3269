using System.Runtime.InteropServices;

namespace LowRank.Tokenization;

/// <summary>Where a token stands in its text.</summary>
/// <param name="Start">Its first UTF-16 unit.</param>
/// <param name="End">After its last one.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TokenSpan(int Start, int End);
