using System.Runtime.InteropServices;

namespace LowRank.Tasks.TokenClassification;

/// <summary>A piece of text that is answered for.</summary>
/// <param name="Token">The position of its first token; -1 where it has none, as a control character has none in many tokenizers.</param>
/// <param name="Start">Where it begins in the text, in UTF-16 units.</param>
/// <param name="End">Where it ends.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TaggedWord(int Token, int Start, int End);
