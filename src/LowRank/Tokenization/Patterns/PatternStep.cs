namespace LowRank.Tokenization.Patterns;

/// <summary>A step of a compiled pattern.</summary>
/// <param name="Operation">What it does.</param>
/// <param name="Class">The characters that it takes.</param>
/// <param name="First">A step, a register, a least number, or a place, by the operation.</param>
/// <param name="Second">A step or a largest number.</param>
/// <param name="Part">The steps of a part that is matched by itself.</param>
internal readonly record struct PatternStep(PatternOperation Operation, CharacterClass? Class = null, int First = 0, int Second = 0, PatternStep[]? Part = null);
