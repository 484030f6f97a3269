using System.Text.Json.Nodes;
using CsCheck;

namespace LowRank.Jinja.Tests;

/// <summary>Any text at all either renders or is an <see cref="TemplateException"/>: nothing else, and never without
/// end.</summary>
public sealed class JinjaGarbageTests
{
    private static readonly JinjaLimits Limits = new() { MaximumSteps = 100_000, MaximumLength = 100_000 };

    private static readonly string[] Pieces =
    [
        "{%", "%}", "{{", "}}", "{#", "#}", "-%}", "{%-", "{{-", "-}}", "{%+", "+%}", " if ", " else ",
            " elif ", " endif ",
        " for ", " in ", " endfor ", " set ", " endset ", " macro ", " endmacro ", " call ", " endcall ", " filter ",
        " endfilter ", " generation ", " endgeneration ", " raw ", " endraw ", " with ", " endwith ",
        " break ", " continue ",
        " recursive ", " is ", " not ", " and ", " or ", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|",
        "=", "==", "!=",
        "<", ">", "+", "-", "*", "**", "/", "//", "%", "~", "1", "0", "-1", "2.5", "1e5", "'a'", "\"b\"",
        "'", "\"", "\\",
        "x", "l", "d", "s", "loop", "loop.index", "ns.v", "namespace(v=1)", "range(9)", "cycler(1,2)",
        "none", "true", "m",
        "m()", "caller()", "varargs", "upper", "length", "join", "map", "select", "tojson", "indent",
        "replace", "default",
        "sort", "groupby", "batch", "slice", "format", "'%s%d'", "'{}{:>5}'", ".format", ".items()", ".split", ".get",
        "defined", "string", "odd", "\n", " ", "é", "😀", "\ud800", "\0", "\r\n", "_", "__class__", "$", "@", "?",
    ];

    private static readonly string[] Names =
        ["x", "l", "d", "s", "u", "f", "none", "'%s'", "(1, 'a')", "nope", "-3", "10 ** 30"];

    [Fact]
    public void Random_text_never_breaks_the_engine() => Gen.String.Sample(text => Check(text), iter: 2000);

    [Fact]
    public void Random_tags_never_break_the_engine() =>
        OneOf(Pieces).Array[1, 40].Sample(pieces => Check(string.Concat(pieces)), iter: 10000);

    [Fact]
    public void Every_filter_takes_any_arguments()
    {
        string[] filters =
        [
            "abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape",
            "filesizeformat", "first", "float", "forceescape", "format", "groupby", "indent", "int", "items",
            "join", "last",
            "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
            "round", "safe",
            "select", "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim", "truncate",
            "unique", "upper",
            "urlencode", "wordcount", "xmlattr",
        ];
        CheckCalls(filters, (value, filter, arguments) =>
            $"{{{{ {value}|{filter}({arguments}) }}}}{{{{ {value}|{filter}({arguments})|list }}}}");
    }

    [Fact]
    public void Every_method_takes_any_arguments()
    {
        string[] methods =
        [
            "upper", "title", "swapcase", "istitle", "isnumeric", "isalnum", "startswith", "endswith", "find",
                "rfind", "index",
            "rindex", "count", "replace", "join", "format", "format_map", "split", "rsplit", "splitlines", "partition",
            "rpartition", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "ljust", "rjust",
            "center", "zfill",
            "expandtabs", "get", "items", "keys", "values", "copy", "bit_length", "is_integer", "conjugate", "append",
        ];
        CheckCalls(methods, (value, method, arguments) => $"{{{{ {value}.{method}({arguments}) }}}}");
    }

    private static Gen<string> OneOf(string[] items) => Gen.Int[0, items.Length - 1].Select(i => items[i]);

    private static void CheckCalls(string[] functions, Func<string, string, string, string> call) => Gen.Select(
        OneOf(Names), OneOf(functions), OneOf(Names).Array[0, 3],
        (value, function, arguments) => call($"({value})", function, string.Join(", ", arguments)))
        .Sample(source => Check(source), iter: 10000);

    private static void Check(string source)
    {
        try
        {
            var variables = JsonNode.Parse("""
                {"x": 3, "l": [3, 1, "a", null, [1]], "d": {"a": 1, "b": {"c": []}}, "s": "Hello, World", "u": "é😀ß", "f": 2.5}
                """)!.AsObject();
            var rendered = JinjaTemplate.Parse(source, Limits).Render(variables);
            Assert.All(rendered.GenerationSpans, span => Assert.True(span.Start + span.Length <= rendered.Text.Length));
        }
        catch (TemplateException problem)
        {
            Assert.Contains("line ", problem.Message, StringComparison.Ordinal);
        }
    }
}
