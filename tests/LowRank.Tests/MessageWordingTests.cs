using System.Text.Json;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Cli;
using LowRank.Recipes;

namespace LowRank.Tests;

/// <summary>Messages of the library name no option of the command line, no key of a recipe and no command: each front
/// end has its own names for settings.</summary>
public sealed partial class MessageWordingTests
{
    // Keys of the library's own files, which messages about these files name; a method's option; an option of dotnet.
    private static readonly (string File, string Key)[] OfFiles =
        [("AdapterTask.cs", "max_length"), ("AdapterBase.cs", "base_dtype"), ("ChatFormats.cs", "chat_template"),
            ("PromptTuning.cs", "initial_text"), ("NativeRuntime.cs", "--v")];

    // What front ends have as names.
    private static readonly string[] FrontEnds = ["KnownSettings.cs", "AdaptationRecipe.cs", "AdaptedMethod.cs"];

    private static HashSet<string> PeftNames { get; } =
        [.. AdapterTypes.PeftTypes.SelectMany(type => AdapterTypes.Find(type)!.Keys).Concat(PeftKeys.Common)
            .Select(key => key.Name)];

    private static string[] Keys { get; } =
        [.. RecipeKeys.All.SelectMany(key => new[] { key.Full, key.Name }).Where(key => key.IndexOfAny(['.', '_']) > 0)
            .Distinct().Where(key => !PeftNames.Contains(key))];

    private static Regex Names { get; } = new(
        @"--[a-z]|(?<![\w.])lowrank (" + string.Join('|', CommandLineApplication.Commands()
            .Select(command => command.Build().Name)) + @")\b|(?<![\w.])(" +
        string.Join('|', Keys.Select(Regex.Escape)) + @")(?![\w.]*\.(json|jinja|pkl))\b");

    [Fact]
    public void Messages_outside_of_recipes_name_no_key_no_option_and_no_command()
    {
        List<string> problems = [];
        int seen = 0;
        foreach (string path in Library())
            foreach (string text in Messages(File.ReadAllText(path)))
            {
                seen++;
                string file = Path.GetFileName(path);
                problems.AddRange(Names.Matches(text).Select(match => match.Value)
                    .Where(name => !OfFiles.Contains((file, name)))
                    .Select(name => $"{file}: {name} in \"{text}\""));
            }
        Assert.True(seen > 1000, $"only {seen} texts were seen: the scan is broken");
        Assert.Equal([], problems);
    }

    [Theory]
    [InlineData("throw new InputException($\"Raise max_length to {most}.\");", "max_length")]
    [InlineData("a = \"Check data.train again\";", "data.train")]
    [InlineData("a = \"Use it with --resume only\";", "--r")]
    [InlineData("a = \"Look with 'lowrank inspect' first\";", "lowrank inspect")]
    [InlineData("a = \"The file data.pkl is missing\", b = $\"{x.max_length} tokens\"; // max_length is", "")]
    public void The_scan_sees_names_in_texts_alone(string code, string expected) =>
        Assert.Equal(expected, string.Concat(Messages(code).SelectMany(text => Names.Matches(text))));

    // A setting in a plain string would be worded at once, as the library words it, and for every front end.
    [Fact]
    public void Settings_are_named_in_words_alone()
    {
        List<string> problems = [];
        int seen = 0;
        foreach (string path in SourceFiles.In(Path.Combine(RepositoryFiles.Root, "src")))
        {
            string code = File.ReadAllText(path);
            int named = Regex.Count(code, @"\{KnownSettings\."), right = 0;
            foreach (Match sum in Sum().Matches(code))
                if (sum.Groups["text"].Captures.All(text => text.ValueSpan[0] == '$'))
                    right += Regex.Count(sum.Value, @"\{KnownSettings\.");
            seen += named;
            if (named != right) problems.Add($"{path}: {named - right} of {named} settings are in plain strings");
        }
        Assert.True(seen > 50, $"only {seen} settings were seen: the scan is broken");
        Assert.Equal([], problems);
    }

    [Fact]
    public void Each_setting_that_a_recipe_has_is_its_key()
    {
        string[] paths = [.. typeof(KnownSettings).GetFields().Select(field => (Setting)field.GetValue(null)!)
            .Select(setting => setting.Path)];
        Assert.Equal([], paths.Where(path => !RecipeKeys.Has(path)
            && path.Split('.')[0] is not ("run" or "generation" or "command" or "chat")));
        Assert.Equal(paths.Length, paths.Distinct().Count());
    }

    [Fact]
    public void Each_front_end_has_its_name_for_a_setting_and_the_last_one_holds()
    {
        var error = new InputException("Two problems:",
        [
            new Problem($"{KnownSettings.MaxLength} is 1, expected at least 2") { Place = Words.Of($"a.yaml:3") },
            new Problem("a row lacks \"x\".") { Remedy = KnownSettings.Columns.To("x") },
        ]);
        Assert.Equal(
            "Two problems:\n  - a.yaml:3: the maximum length is 1, expected at least 2\n  - a row lacks \"x\".",
            error.Message);
        error.Word(Recipe.Wording);
        Assert.Equal(["a.yaml:3: training.max_length is 1, expected at least 2",
            "a row lacks \"x\". Use data.columns: {x: COLUMN}."], error.Problems);
        error.Word(AdaptationRecipe.Wording());
        Assert.Equal(["a.yaml:3: TrainingOptions.MaxLength is 1, expected at least 2",
            "a row lacks \"x\". Use Dataset.Columns."], error.Problems);
    }

    [Fact]
    public void A_setting_aside_is_said_where_it_has_a_name()
    {
        var all = Words.Of($"train on all tokens{KnownSettings.TrainOn.To("all").Aside}.");
        Assert.Equal("train on all tokens.", all.ToString());
        Assert.Equal("train on all tokens (data.train_on: all).", all.In(Recipe.Wording));
        Assert.Equal("train on all tokens (TrainingOptions.TrainOn = all).", all.In(AdaptationRecipe.Wording()));
    }

    [Fact]
    public void Words_that_a_file_keeps_are_worded_by_whoever_reads_them()
    {
        var problem = new Problem($"{KnownSettings.MaxLength} is 1") { Remedy = KnownSettings.Columns.To("x") };
        var written = Words.Of($"1 row{KnownSettings.OnBadRow.To("skip").Aside}: {problem}");
        Words read = JsonSerializer.Deserialize<Words>(JsonSerializer.Serialize(written))!;
        Assert.Equal("1 row: the maximum length is 1", read.ToString());
        Assert.Equal(
            "1 row (data.on_bad_row: skip): training.max_length is 1. Use data.columns: {x: COLUMN}.",
            read.In(Recipe.Wording));
    }

    [Fact]
    public void A_key_with_its_value_is_an_option_in_a_recipe_of_options()
    {
        InputException refused = Assert.Throws<InputException>(() => RecipeReader.Read(
            "model: m\noutput: o\ndata: {train: r.jsonl}\ntf32: true\n", "/", [], "x",
            origin: AdaptationRecipe.Wording()));
        refused.Word(AdaptationRecipe.Wording());
        Assert.Equal("LanguageModelOptions.Tf32 has no effect with device cpu, it is of NVIDIA GPUs; remove it, or " +
            "set LanguageModelOptions.Device = cuda", Assert.Single(refused.Problems));
    }

    [Fact]
    public void Text_of_the_user_that_looks_like_a_key_stays_as_it_is()
    {
        var error = new InputException($"the label data.train is unknown; set {KnownSettings.Labels}");
        error.Word(AdaptationRecipe.Wording());
        Assert.Equal("the label data.train is unknown; set TaskOptions.Labels", error.Message);
    }

    private static IEnumerable<string> Library()
    {
        string root = Path.Combine(RepositoryFiles.Root, "src", "LowRank");
        return SourceFiles.In(root).Where(path => !FrontEnds.Contains(Path.GetFileName(path))
            && !Path.GetRelativePath(root, path).StartsWith("Recipes", StringComparison.Ordinal));
    }

    // Texts of several words, without the values in them; a single word is a name in a file.
    private static IEnumerable<string> Messages(string code) =>
        code.Split('\n').Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal))
            .SelectMany(line => Literal().Matches(line.Split(" // ")[0]))
            .Select(text => Value().Replace(text.Groups["content"].Value, "…"))
            .Where(text => text.Contains(' ', StringComparison.Ordinal));

    [GeneratedRegex("""\$?"(?<content>(?:[^"\\{]|\\.|\{\{|\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|\{[^{}]*\})*\}|\{)*)" """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Literal();

    [GeneratedRegex(@"\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", RegexOptions.ExplicitCapture)]
    private static partial Regex Value();

    // A sum of texts that is all that a call gets as this argument.
    [GeneratedRegex("""
        (Exception|Problem|Words\.Of|Add|new)\(\s*
        (?<text>\$?"(?:[^"\\{]|\\.|\{\{|\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|\{[^{}]*\})*\})*")
        (\s*\+\s*(?<text>\$?"(?:[^"\\{]|\\.|\{\{|\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|\{[^{}]*\})*\})*"))*
        \s*[,)]
        """, RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Sum();
}
