using System.Text.Json.Nodes;
using LowRank.Tasks.Rewards;

namespace LowRank.Tests.Tasks;

/// <summary>What judges completions.</summary>
public sealed class RewardSourceTests
{
    private static readonly JsonObject Row = new() { ["prompt"] = "1 + 1 =", ["answer"] = "2" };

    [Theory]
    [InlineData("regex: ^[0-9]+$", "12", 1)]
    [InlineData("regex: ^[0-9]+$", "twelve", 0)]
    [InlineData("exact: answer", " 2\n", 1)]
    [InlineData("exact: answer", "3", 0)]
    public void Texts_are_judged_by_their_form_or_a_field(string name, string completion, double reward)
    {
        Assert.Null(RewardNames.Problem(name));
        using IRewardSource source = RewardNames.Open(name, "");
        Assert.Equal([reward], source.Rewards([Text(completion)]));
    }

    [Theory]
    [InlineData("regex: [", "which is no regular expression")]
    [InlineData("regex:", "expected \"regex: PATTERN\"")]
    [InlineData("length: 3", "expected \"regex: PATTERN\"")]
    [InlineData("short", "expected \"regex: PATTERN\"")]
    [InlineData("model: no/such/folder", "there is no folder no/such/folder")]
    public void Names_that_say_nothing_are_refused(string name, string problem) =>
        Assert.Contains(problem, RewardNames.Problem(name), StringComparison.Ordinal);

    [Fact]
    public void A_row_without_the_field_says_which_it_has()
    {
        using IRewardSource source = RewardNames.Open("exact: solution", "");
        string message = Assert.Throws<InputException>(() => source.Rewards([Text("2")])).Message;
        Assert.Contains("a row has no text in \"solution\". It has prompt, answer", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rewards_are_added_with_their_weights()
    {
        using var rewards = new WeightedRewards(
        [
            RewardNames.Open("regex: 2", ""), RewardNames.Open("regex: ^2$", ""),
            new FunctionReward("length", (prompt, completion, row) =>
                completion.Length + prompt.Length + row["answer"]!.GetValue<string>().Length),
        ], [1, 0.5, 0.1]);
        Assert.Equal(["regex", "regex_2", "length"], rewards.Names);
        JudgedText[] judged = [.. rewards.Judge([Text("2"), Text("22")])];
        Assert.Equal([1, 1, 9], judged[0].Each);
        Assert.Equal(2.4, judged[0].Reward, 1e-12);
        Assert.Equal(2, judged[1].Reward, 1e-12);
    }

    [Fact]
    public void A_reward_that_is_no_finite_number_is_refused_with_its_completion()
    {
        using var rewards = new WeightedRewards([new FunctionReward("own", (_, _, _) => double.NaN)], []);
        Assert.Contains("The reward own of the completion \"2\" is NaN, expected a finite number.",
            Assert.Throws<InputException>(() => rewards.Judge([Text("2")])).Message, StringComparison.Ordinal);
    }

    [Fact(SkipUnless = nameof(HasShell), Skip = "needs a POSIX shell")]
    public void A_program_reads_a_line_for_each_completion_and_stays_open()
    {
        // it counts, so a program that is started anew would begin at 1
        using IRewardSource program = RewardNames.Open(
            "program: n=0; while read -r line; do n=$((n+1)); case \"$line\" in *'\"completion\":\"good\"'*) echo " +
            "$n;; *) echo 0.5;; esac; done", "");
        Assert.Equal([1, 0.5, 3], program.Rewards([Text("good"), Text("bad"), Text("good")]));
        Assert.Equal([4], program.Rewards([Text("good")]));
    }

    [Theory(SkipUnless = nameof(HasShell), Skip = "needs a POSIX shell")]
    [InlineData("echo no such thing >&2; exit 3", "ended with exit code 3 and said: no such thing")]
    [InlineData("read line; echo much", "wrote \"much\", expected a line with a number")]
    [InlineData("read line; echo nan", "wrote \"nan\", expected a line with a number")]
    public void A_program_that_fails_is_told(string command, string problem)
    {
        using IRewardSource program = RewardNames.Open($"program: {command}", "");
        Assert.Contains(problem,
            Assert.Throws<InputException>(() => program.Rewards([Text("a"), Text("b")])).Message,
            StringComparison.Ordinal);
    }

    public static bool HasShell => !OperatingSystem.IsWindows();

    private static RewardedText Text(string completion) => new("1 + 1 =", completion, Row);
}
