using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>Queries that a thread takes at once, of texts of one tree.</summary>
/// <param name="FirstText">The first text.</param>
/// <param name="Texts">How many texts.</param>
/// <param name="FirstQuery">The first query of the first text that is meant.</param>
/// <param name="LastQuery">The query of the last text before which it ends.</param>
/// <param name="FirstNeeded">Where the numbers of the texts whose keys are seen begin.</param>
/// <param name="Needed">How many those are.</param>
/// <param name="Places">Places of the tree's keys.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AttentionPart(int FirstText, int Texts, int FirstQuery, int LastQuery, int FirstNeeded, int Needed, int Places);
