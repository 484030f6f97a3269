using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using LowRank.Cli;
using LowRank.Cli.Common;

namespace LowRank.Tests.Cli;

public sealed partial class DocumentedCommandTests
{
    [Fact]
    public void Commands_of_the_readmes_and_the_docs_are_ones_that_the_program_takes()
    {
        var root = new RootCommand();
        foreach (ICliCommand command in CommandLineApplication.Commands()) root.Add(command.Build());
        List<string> wrong = [];
        int count = 0;
        foreach (string file in Pages())
            foreach (Match line in CommandLines().Matches(File.ReadAllText(file)))
            {
                count++;
                ParseResult parsed = root.Parse(
                    CommandLineParser.SplitCommandLine(line.Groups["command"].Value.Replace('\'', '"')).ToArray());
                wrong.AddRange(parsed.Errors.Select(error =>
                    $"{Path.GetRelativePath(RepositoryFiles.Root, file)}: {line.Value.Trim()}: {error.Message}"));
            }
        Assert.True(count > 30, $"only {count} commands were seen: the scan is broken");
        Assert.Equal([], wrong);
    }

    private static IEnumerable<string> Pages() =>
    [
        Path.Combine(RepositoryFiles.Root, "README.md"),
        .. Directory.EnumerateFiles(Path.Combine(RepositoryFiles.Root, "docs"), "*.md", SearchOption.AllDirectories),
        .. Directory.EnumerateDirectories(Path.Combine(RepositoryFiles.Root, "src"))
            .Select(project => Path.Combine(project, "README.md")).Where(File.Exists),
    ];

    // Indented or fenced, to the comment or the redirection; what is a pattern ("[--resume]", "…") is no command.
    [GeneratedRegex(@"^ *lowrank (?<command>[^#>\[\]…\n]+)(?:[#>][^\[\]…\n]*)?$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex CommandLines();
}
