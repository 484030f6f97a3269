using System.Text.RegularExpressions;

namespace LowRank.Tests;

public sealed partial class ArchitectureTests
{
    // Each folder of the library uses only those before it.
    private static readonly string[] Order =
        ["Kernels", "IO", "Quantization", "Hub", "Data", "Metrics", "Models", "Adapters", "Training",
            "Generation", "Tasks", "Serving", "Recipes"];

    private static string Library { get; } = Path.Combine(RepositoryFiles.Root, "src", "LowRank");

    [Fact]
    public void Folders_use_only_those_before_them()
    {
        var problems = new List<string>();
        int uses = 0;
        foreach ((string folder, string file, string code) in Sources())
        {
            int own = Array.IndexOf(Order, folder);
            if (own < 0) problems.Add($"{file}: the folder {folder} has no place in the order");
            foreach (string used in Uses(code).Where(used => used != folder))
            {
                uses++;
                if (Array.IndexOf(Order, used) > own) problems.Add($"{file}: {folder} uses {used}");
            }
        }
        Assert.True(uses > 20, $"only {uses} uses were seen: the scan is broken");
        Assert.Empty(problems);
    }

    [Fact]
    public void The_scan_sees_usings_and_qualified_names_but_not_comments()
    {
        const string Code = """
            using LowRank.Training;
            using static LowRank.Models.Decoder;
            using Tree = LowRank.Recipes.YamlTree;
            /// <see cref="LowRank.Data.Batch"/>
            namespace LowRank.Kernels; // Generation.Sampler
            class A { object b = Adapters.LoraConfig.Empty, c = new Quantization.Q(), d = shape.Data.Length; }
            """;
        Assert.Equal(["Adapters", "Kernels", "Models", "Quantization", "Recipes", "Training"], Uses(Code).Order());
    }

    [Fact]
    public void Namespaces_are_folders()
    {
        var problems = new List<string>();
        foreach ((string _, string file, string code) in Sources())
        {
            string expected = "LowRank." + Path.GetDirectoryName(file)!.Replace(Path.DirectorySeparatorChar, '.');
            string found = DeclaredNamespace().Match(code).Groups["name"].Value;
            // A sub-folder may be its own namespace or share the one of its parent.
            if (found != expected && !expected.StartsWith(found + ".", StringComparison.Ordinal))
                problems.Add($"{file}: {found}");
        }
        Assert.Empty(problems);
    }

    [Fact]
    public void Folders_of_the_library_do_not_use_each_other_in_circles() =>
        new FolderGraph(typeof(LowRank.Recipes.Recipe).Assembly, "src/LowRank").HasNoCirclesBut(
            "Adapters", "Adapters/Files", "Adapters/Inspection", "Adapters/Matching",
            "Adapters/Methods");

    [Fact]
    public void Folders_of_the_command_line_do_not_use_each_other_in_circles() =>
        new FolderGraph(typeof(LowRank.Cli.CommandLineApplication).Assembly, "src/LowRank.Cli").HasNoCirclesBut();

    [Fact]
    public void Files_have_at_most_500_lines() => Assert.All(SourceFiles.In(Path.Combine(RepositoryFiles.Root, "src")),
        path => Assert.InRange(File.ReadLines(path).Count(), 1, 500));

    [Fact]
    public void Lines_have_at_most_120_columns()
    {
        List<string> problems = [];
        string[] folders = ["src", "tests", "bench", "tools", "samples"];
        foreach (string path in folders.SelectMany(
            folder => SourceFiles.In(Path.Combine(RepositoryFiles.Root, folder))))
        {
            bool isRaw = false; // a raw literal says what it holds, line breaks included
            foreach ((int number, string line) in File.ReadLines(path).Index())
            {
                int quotes = Regex.Count(line, "\"{3,}");
                // So does a pattern in a verbatim literal.
                bool isLiteral = isRaw || quotes > 0 || line.TrimStart().StartsWith("@\"", StringComparison.Ordinal);
                isRaw ^= quotes % 2 == 1;
                if (!isLiteral && line.Length > 120)
                    problems.Add($"{Path.GetRelativePath(RepositoryFiles.Root, path)}:{number + 1}: {line.Length}");
            }
        }
        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    private static IEnumerable<(string Folder, string File, string Code)> Sources() =>
        from path in SourceFiles.In(Library)
        let file = Path.GetRelativePath(Library, path)
        where file.Contains(Path.DirectorySeparatorChar)
        select (file.Split(Path.DirectorySeparatorChar)[0], file, File.ReadAllText(path));

    private static HashSet<string> Uses(string code)
    {
        string bare = Comment().Replace(code, "");
        return [.. Order.Where(folder => Regex.IsMatch(bare, $@"\bLowRank\.{folder}\b|(?<![\w.]){folder}\.[A-Z]"))];
    }

    [GeneratedRegex(@"//[^\n]*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex DeclaredNamespace();
}
