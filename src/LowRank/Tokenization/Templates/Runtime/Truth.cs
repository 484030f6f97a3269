using System.Numerics;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Which values are true.</summary>
internal static class Truth
{
    /// <summary>Whether a value counts as true in a condition.</summary>
    public static bool Of(Renderer renderer, object value) => value switch
    {
        bool boolean => boolean,
        None or UndefinedValue => false,
        string text => text.Length > 0,
        MarkupValue markup => markup.Text.Length > 0,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        LoopValue loop => loop.Length(renderer) > 0,
        _ => Iteration.Length(renderer, value) is not 0,
    };
}
