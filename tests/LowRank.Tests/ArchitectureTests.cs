using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace LowRank.Tests;

public sealed partial class ArchitectureTests
{
    // Each folder of the library uses only those before it.
    private static readonly string[] Order =
        ["Kernels", "IO", "Quantization", "Hub", "Data", "Metrics", "Models", "Adapters", "Training",
            "Generation", "Tasks", "Recipes"];

    private static string Library([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "src", "LowRank"));

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
    public void Files_have_at_most_500_lines() =>
        Assert.All(Directory.EnumerateFiles(Library(), "*.cs", SearchOption.AllDirectories)
        .Where(path => !Generated(path)), path => Assert.InRange(File.ReadLines(path).Count(), 1, 500));

    private static IEnumerable<(string Folder, string File, string Code)> Sources() =>
        from path in Directory.EnumerateFiles(Library(), "*.cs", SearchOption.AllDirectories)
        let file = Path.GetRelativePath(Library(), path)
        where !Generated(path) && file.Contains(Path.DirectorySeparatorChar)
        select (file.Split(Path.DirectorySeparatorChar)[0], file, File.ReadAllText(path));

    private static bool Generated(string path) =>
        path.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}")
        || path.Contains($"{Path.DirectorySeparatorChar}bin{Path.DirectorySeparatorChar}");

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
