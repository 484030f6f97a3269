using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The functions that every template can call.</summary>
internal static class GlobalFunctions
{
    private static readonly FunctionValue[] Functions =
    [
        new("range", (_, arguments) => Range(arguments)),
        new("dict", Dictionary),
        new("namespace", Namespace),
        new("cycler", (_, arguments) => Cycler(arguments)),
        new("joiner", (_, arguments) => Joiner(arguments)),
        new("raise_exception", RaiseException),
        new("strftime_now", StrftimeNow),
        new("lipsum", (_, _) => throw TemplateFault.Unsupported("the function 'lipsum'")),
    ];

    /// <summary>A scope with the functions.</summary>
    public static Scope CreateScope()
    {
        var scope = new Scope(null);
        foreach (var function in Functions)
        {
            scope.Set(function.Name, function);
        }

        return scope;
    }

    private static RangeValue Range(Arguments arguments)
    {
        var values = arguments.BindPositional("range", 1, 3);
        var numbers = values.Select(value => value is null ? 0 : Numbers.Index(value, "an argument of range")).ToArray();
        var range = values[1] is null
            ? new RangeValue(0, numbers[0], 1)
            : new RangeValue(numbers[0], numbers[1], values[2] is null ? 1 : numbers[2]);
        if (range.Step == 0)
        {
            throw TemplateFault.Value("range() arg 3 must not be zero");
        }

        return range.Count <= RangeValue.MaximumCount
            ? range
            : throw new TemplateFault($"a range of {range.Count} numbers is larger than {RangeValue.MaximumCount}");
    }

    private static DictionaryValue Dictionary(Renderer renderer, Arguments arguments)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        if (arguments.Positional.Count > 1)
        {
            throw TemplateFault.Type($"dict expected at most 1 argument, got {arguments.Positional.Count}");
        }

        foreach (var (key, value) in arguments.Positional.SelectMany(source => Pairs(renderer, source)))
        {
            dictionary.Items[key] = value;
        }

        foreach (var (name, value) in arguments.Named)
        {
            dictionary.Items[name] = value;
        }

        return dictionary;
    }

    private static IEnumerable<KeyValuePair<object, object>> Pairs(Renderer renderer, object source)
    {
        if (source is DictionaryValue dictionary)
        {
            return dictionary.Items;
        }

        return Iteration.Of(renderer, source).Select(item => Iteration.List(renderer, item) is [var key, var value]
            ? KeyValuePair.Create(key, value)
            : throw TemplateFault.Value("a dictionary is made of pairs of key and value"));
    }

    private static NamespaceValue Namespace(Renderer renderer, Arguments arguments)
    {
        var space = new NamespaceValue();
        foreach (var (key, value) in Dictionary(renderer, arguments).Items)
        {
            var name = Text.Of(key) ?? throw TemplateFault.Type("the names of a namespace must be strings");
            space.Attributes[name] = value;
        }

        return space;
    }

    private static CyclerValue Cycler(Arguments arguments) => arguments.Positional.Count > 0 && arguments.Named.Count == 0
        ? new CyclerValue(arguments.Positional)
        : throw new TemplateFault("cycler takes at least one item, and no names");

    // Gives nothing the first time and the separator ever after.
    private static FunctionValue Joiner(Arguments arguments)
    {
        var separator = arguments.Bind("joiner", 0, "sep")[0] ?? ", ";
        var used = false;
        return new FunctionValue("joiner", (_, call) =>
        {
            call.BindPositional("joiner", 0, 0);
            var result = used ? separator : "";
            used = true;
            return result;
        });
    }

    private static object RaiseException(Renderer renderer, Arguments arguments)
    {
        var message = arguments.Bind("raise_exception", 1, "message")[0]!;
        throw new TemplateFault("the template refuses the conversation: " + Display.Text(renderer, message));
    }

    private static object StrftimeNow(Renderer renderer, Arguments arguments)
    {
        var format = arguments.Bind("strftime_now", 1, "format")[0]!;
        return DateFormat.Format(
            renderer,
            renderer.Clock.GetLocalNow(),
            Text.Of(format) ?? throw TemplateFault.Type($"strftime() argument must be str, not {TypeNames.Of(format)}"));
    }
}
