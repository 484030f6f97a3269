using LowRank.Cli.Views;
using LowRank.Recipes;
using Spectre.Console.Testing;

namespace LowRank.Tests.Cli;

public sealed class ComparisonTableTests
{
    private static readonly RunFigures Figures = new(1234, 61700, 56789, TimeSpan.FromSeconds(95), 1_500_000_000);

    private static string Show(Comparison comparison)
    {
        using var console = new TestConsole();
        console.Profile.Width = 120;
        console.Write(ComparisonTable.Of(Figures, comparison));
        return console.Output;
    }

    [Fact]
    public void Shows_losses_facts_costs_and_generations_side_by_side()
    {
        string table =
            Show(new Comparison(
                new ComparisonSide(4.5678, 3, 120, ["It is [red] and\u001b[2J"]),
                new ComparisonSide(0.5, 114, 120, ["A fine inn."]),
            ["name: Inn\n"], ["reference"]));
        Assert.Matches(@"held-out loss \(nats per token\)\s+│ 4\.568\s+│ 0\.500", table);
        Assert.Matches(@"facts stated correctly\s+│ 2\.5 % \(3 of 120\)\s+│ 95\.0 % \(114 of 120\)", table);
        Assert.Contains("1,234 of 61,700 (2.00 %)", table);
        Assert.Contains("0.06 MB", table);
        Assert.Contains("1:35, 1.50 GB", table);
        Assert.Matches(@"name: Inn\s+│ It is \[red\] and�\[2J\s+│ A fine inn\.", table);
    }

    [Fact]
    public void Without_facts_or_generations_these_rows_are_left_out()
    {
        string table = Show(new Comparison(new ComparisonSide(2, 0, 0, []), new ComparisonSide(1, 0, 0, []), [], []));
        Assert.DoesNotContain("facts", table);
        Assert.Contains("size on disk", table);
    }
}
