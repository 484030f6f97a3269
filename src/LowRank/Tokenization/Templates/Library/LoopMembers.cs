using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The attributes of <c>loop</c>.</summary>
internal static class LoopMembers
{
    /// <summary>An attribute, or null where there is none of that name.</summary>
    public static object? Find(Renderer renderer, LoopValue loop, string name) => name switch
    {
        "index" => new BigInteger(loop.Index + 1),
        "index0" => new BigInteger(loop.Index),
        "revindex" => new BigInteger(loop.Length(renderer) - loop.Index),
        "revindex0" => new BigInteger(loop.Length(renderer) - loop.Index - 1),
        "first" => loop.Index == 0,
        "last" => loop.IsLast,
        "length" => new BigInteger(loop.Length(renderer)),
        "depth" => new BigInteger(loop.Depth + 1),
        "depth0" => new BigInteger(loop.Depth),
        "previtem" => loop.Previous,
        "nextitem" => loop.Following,
        "cycle" => new FunctionValue(name, (_, arguments) => Cycle(loop, arguments)),
        "changed" => new FunctionValue(name, (inner, arguments) => loop.Changed(inner, arguments.Positional)),
        _ => null,
    };

    private static object Cycle(LoopValue loop, Arguments arguments) => arguments.Positional.Count == 0
        ? throw TemplateFault.Type("no items for cycling given")
        : arguments.Positional[(int)(loop.Index % arguments.Positional.Count)];
}
