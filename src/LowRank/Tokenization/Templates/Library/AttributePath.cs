using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Reads the attribute that filters are told by name: names with dots between them, numbers being places.</summary>
internal static class AttributePath
{
    /// <summary>A function that reads the attribute of an item.</summary>
    /// <param name="renderer">The rendering.</param>
    /// <param name="attribute">The path; none is the item itself.</param>
    /// <param name="missing">What stands for an undefined value on the way, or null.</param>
    public static Func<object, object> Reader(Renderer renderer, object? attribute, object? missing = null)
    {
        var parts = Parts(attribute);
        return item =>
        {
            foreach (var part in parts)
            {
                renderer.Budget.Spend(1);
                item = Access.Item(renderer, item, part);
                if (item is UndefinedValue && missing is not (null or None))
                {
                    item = missing;
                }
            }

            return item;
        };
    }

    /// <summary>A function that reads what items are sorted by: several paths have commas between them.</summary>
    public static Func<object, object> KeyReader(Renderer renderer, object? attribute, bool caseSensitive)
    {
        var paths = attribute is not null && Text.Of(attribute) is { } text
            ? text.Split(',').Select(path => Reader(renderer, path)).ToList()
            : [Reader(renderer, attribute)];
        return item => new TupleValue([.. paths.Select(read => Fold(read(item), caseSensitive))]);
    }

    /// <summary>Text in lower case, unless the case counts; every other value as it is.</summary>
    public static object Fold(object value, bool caseSensitive) =>
        !caseSensitive && Text.Of(value) is { } text ? CaseMapping.Lower(text) : value;

    private static List<object> Parts(object? attribute)
    {
        if (attribute is null or None)
        {
            return [];
        }

        return Text.Of(attribute) is not { } path
            ? [attribute]
            : [.. path.Split('.').Select(object (part) => part.Length is > 0 and < 19 && part.All(char.IsAsciiDigit)
                ? BigInteger.Parse(part)
                : part)];
    }
}
