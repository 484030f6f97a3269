using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LowRank.Pages;

/// <summary>docs/performance.md, whose numbers come from the output of <c>lowrank bench … --json</c> in
/// docs/figures/performance.</summary>
/// <remarks>A number stands between <c>&lt;!-- json: FILE KEY FORMAT --&gt;</c> and <c>&lt;!-- /json --&gt;</c>, where
/// the format is a .NET number format and optional, and a nested key is written with a dot; the parts of a start stand
/// between <c>&lt;!-- parts: FILE --&gt;</c> and <c>&lt;!-- /parts --&gt;</c>, the shapes of attention between
/// <c>&lt;!-- shapes: FILE --&gt;</c> and <c>&lt;!-- /shapes --&gt;</c>, the GPU's table between
/// <c>&lt;!-- gpu --&gt;</c> and <c>&lt;!-- /gpu --&gt;</c>, and the commands of <see cref="Measurements"/> between
/// <c>&lt;!-- commands --&gt;</c> and <c>&lt;!-- /commands --&gt;</c>; a <see cref="PerformanceTable"/> between
/// <c>&lt;!-- table: NAME --&gt;</c> and <c>&lt;!-- /table --&gt;</c>. A file is named with its folder, that of
/// the processor's kind: amd-avx512/train.</remarks>
public static partial class PerformancePage
{
    /// <summary>The page's path in the repository.</summary>
    public const string Path = "docs/performance.md";

    /// <summary>The folder of the measurements.</summary>
    public const string Folder = "docs/figures/performance/";

    /// <summary>The page of the commands, in that folder.</summary>
    public const string CommandsPath = Folder + "README.md";

    /// <summary>Reads the measurements.</summary>
    /// <param name="repository">The repository's folder.</param>
    /// <returns>The objects by path in <see cref="Folder"/>, without extension, such as amd-avx512/train.</returns>
    public static IReadOnlyDictionary<string, JsonObject> Load(string repository)
    {
        string folder = System.IO.Path.Combine(repository, Folder),
            gpu = System.IO.Path.GetFullPath(System.IO.Path.Combine(repository, GpuTable.Folder));
        return Directory.GetFiles(folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Where(path => !System.IO.Path.GetFullPath(path).StartsWith(gpu, StringComparison.Ordinal))
            .ToDictionary(
                path => System.IO.Path.ChangeExtension(System.IO.Path.GetRelativePath(folder, path), null)
                    .Replace('\\', '/'),
                path => JsonNode.Parse(File.ReadAllText(path))!.AsObject());
    }

    /// <summary>The page with its numbers filled in.</summary>
    /// <param name="text">The current page.</param>
    /// <param name="measured">The measurements by file.</param>
    /// <param name="gpu">Those of <see cref="GpuTable"/>; null for none.</param>
    /// <exception cref="InputException">The page marks a value that was not measured.</exception>
    public static string Fill(string text, IReadOnlyDictionary<string, JsonObject> measured,
        IReadOnlyDictionary<string, JsonObject>? gpu = null)
    {
        text = GpuMark().Replace(
            text, mark => $"{mark.Groups["open"].Value}\n" +
            $"{GpuTable.Render(gpu ?? new Dictionary<string, JsonObject>())}<!-- /gpu -->");
        text = CommandsMark()
            .Replace(text, mark => $"{mark.Groups["open"].Value}\n\n{Measurements.Commands()}\n<!-- /commands -->");
        text = TableMark().Replace(text, mark =>
            $"{mark.Groups["open"].Value}\n{Table(mark.Groups["name"].Value).Markdown(measured)}<!-- /table -->");
        text = ShapesMark()
            .Replace(text,
            mark => $"{mark.Groups["open"].Value}\n{Shapes(Find(measured, mark.Groups["file"].Value))}<!-- /shapes " +
            "-->");
        text = PartsMark()
            .Replace(text,
            mark => $"{mark.Groups["open"].Value}\n{Parts(Find(measured, mark.Groups["file"].Value))}<!-- /parts -->");
        return NumberMark().Replace(text, mark =>
        {
            string Part(string name) => mark.Groups[name].Value;
            return $"{Part("open")}{Number(Find(measured, Part("file")), Part("key"), Part("format"))}<!-- /json -->";
        });
    }

    /// <summary>Writes the page, the commands and the figures.</summary>
    /// <param name="repository">The repository's folder.</param>
    public static void Write(string repository)
    {
        IReadOnlyDictionary<string, JsonObject> measured = Load(repository);
        foreach (string path in new[] { Path, CommandsPath })
        {
            string page = System.IO.Path.Combine(repository, path);
            File.WriteAllText(page, Fill(File.ReadAllText(page), measured, GpuTable.Load(repository)));
        }
        foreach ((string file, string svg) in Figures(measured))
            File.WriteAllText(System.IO.Path.Combine(repository, Folder, file), svg);
    }

    /// <summary>The figures of the page by file name.</summary>
    /// <param name="measured">The measurements by file.</param>
    public static IReadOnlyDictionary<string, string> Figures(IReadOnlyDictionary<string, JsonObject> measured) =>
        GrowthFigures.Draw(Find(measured, GrowthFigures.File)).Concat(ServeFigures.Draw(measured)).ToDictionary();

    private static PerformanceTable Table(string name) =>
        PerformanceTable.All.FirstOrDefault(table => table.Name == name)
        ?? throw new InputException(
            $"{Path} marks the table \"{name}\"; expected one of " +
            $"{string.Join(", ", PerformanceTable.All.Select(table => table.Name))}.");

    private static JsonObject Find(IReadOnlyDictionary<string, JsonObject> measured, string file) =>
        measured.TryGetValue(file, out JsonObject? found) ? found
        : throw new InputException(
            $"{Path} marks \"{file}\", but {Folder}{file}.json is not there; expected one of " +
            $"{string.Join(", ", measured.Keys)}.");

    private static string Number(JsonObject measured, string key, string format)
    {
        JsonNode? found = measured;
        foreach (string part in key.Split('.')) found = (found as JsonObject)?[part];
        if (found is not JsonValue value)
            throw new InputException(
                $"{Path} marks the key \"{key}\", which was not measured; expected one of " +
                $"{string.Join(", ", measured.Select(entry => entry.Key))}.");
        return value.TryGetValue(out double number)
            ? number.ToString(format.Length == 0 ? "0.##" : format, CultureInfo.InvariantCulture)
            : value.GetValue<string>();
    }

    private static string Parts(JsonObject start)
    {
        var table = new StringBuilder("| part | seconds |\n| --- | ---: |\n");
        foreach (JsonNode? part in start["parts"]!.AsArray())
            table.Append(CultureInfo.InvariantCulture,
                $"| {part!["name"]!.GetValue<string>()} | {part["seconds"]!.GetValue<double>():0.000} |\n");
        return table.ToString();
    }

    private static string Shapes(JsonObject attention)
    {
        var table = new StringBuilder(
            "| | rows x tokens | heads x width | forward, ms | of torch's | backward, ms | of torch's | without " +
            "gradients, ms | of torch's |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        foreach (JsonNode? shape in attention["shapes"]!.AsArray())
        {
            double Value(string key) => shape![key]!.GetValue<double>();
            string heads = Value("heads") == Value("key_value_heads") ? $"{Value("heads")}"
                : $"{Value("heads")} on {Value("key_value_heads")}";
            table.Append(CultureInfo.InvariantCulture,
                $"| {shape!["name"]!.GetValue<string>()} | {Value("rows")} x {Value("tokens")} | {heads} x " +
                $"{Value("dimension")} |");
            foreach (string pass in (ReadOnlySpan<string>)["forward", "backward", "evaluation"])
                table.Append(CultureInfo.InvariantCulture,
                    $" {1e3 * Value(pass + "_seconds"):0.00} | {1 / Value(pass + "_speedup"):0.00} |");
            table.Append('\n');
        }
        return table.ToString();
    }

    [GeneratedRegex(
        "(?<open><!-- commands -->).*?<!-- /commands -->", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex CommandsMark();

    [GeneratedRegex("(?<open><!-- gpu -->).*?<!-- /gpu -->", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex GpuMark();

    [GeneratedRegex(
        "(?<open><!-- table: (?<name>[a-z]+) -->).*?<!-- /table -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex TableMark();

    [GeneratedRegex(
        "(?<open><!-- shapes: (?<file>[a-z0-9_/-]+) -->).*?<!-- /shapes -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex ShapesMark();

    [GeneratedRegex(
        "(?<open><!-- parts: (?<file>[a-z0-9_/-]+) -->).*?<!-- /parts -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex PartsMark();

    [GeneratedRegex(
        "(?<open><!-- json: (?<file>[a-z0-9_/-]+) (?<key>[a-z_0-9.-]+)(?: (?<format>[^ ]+))? -->).*?<!-- /json -->",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex NumberMark();
}
