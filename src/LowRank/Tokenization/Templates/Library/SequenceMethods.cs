using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The methods of lists, tuples and ranges.</summary>
internal static class SequenceMethods
{
    /// <summary>A method, or null where there is none of that name.</summary>
    public static FilterFunction? Find(string name, bool isList) => name switch
    {
        "count" => Count,
        "index" => Index,
        "copy" when isList => (_, value, arguments) =>
        {
            arguments.BindPositional("copy", 0, 0);
            return value;
        },
        _ => null,
    };

    private static object Count(Renderer renderer, object value, Arguments arguments)
    {
        var item = arguments.BindPositional("count", 1, 1)[0]!;
        return new BigInteger(Iteration.Of(renderer, value).Count(other => Comparison.Equal(renderer, other, item)));
    }

    private static object Index(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.BindPositional("index", 1, 3);
        var items = Iteration.List(renderer, value);
        var range = SliceRange.Resolve(items.Count, Bound(values[1]), Bound(values[2]), 1);
        for (var i = range.Start; i < range.Start + range.Count; i++)
        {
            if (Comparison.Equal(renderer, items[(int)i], values[0]!))
            {
                return new BigInteger(i);
            }
        }

        throw TemplateFault.Value($"{Display.Brief(values[0]!)} is not in the {TypeNames.Of(value)}");
    }

    private static long? Bound(object? value) => value is null ? null : Numbers.Index(value, "an index");
}
