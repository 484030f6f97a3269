namespace LowRank.SpeedTests;

/// <summary>What the checks of speed hold against what, on rounds whose results are given.</summary>
public sealed class ShareCheckTests
{
    private static readonly ProcessorKind Kind = new("GenuineIntel family 6 model 143", 16, "AVX512_BF16 and AMX", 2);

    [Theory]
    [InlineData(0.75, 100, false)] // 0.8 of 0.9, the lowest, is 0.72
    [InlineData(0.70, 100, true)]
    [InlineData(0.31, 100, true)]  // memory read at a third of its rate
    [InlineData(0.31, 151, true)]  // only the second machine is as fast: 0.8 of 0.95
    [InlineData(0.80, 151, false)]
    public void A_share_is_held_against_the_lowest_of_the_machines_that_are_alike(
        double share, double limit, bool isWrong)
    {
        var kind = new RecordedKind(Kind, [Machine("a", 0.9, 100), Machine("b", 0.95, 110)]);
        Assert.Equal(isWrong, Check(kind).Look(3, () => (share, limit), Beside(0)) is not null);
    }

    [Theory]
    [InlineData(0.33, true)] // torch is three times as fast
    [InlineData(0.95, false)]
    public void Without_a_record_for_the_machine_libtorch_is_the_reference(double ratio, bool isWrong)
    {
        RecordedKind?[] without = [null, new RecordedKind(Kind, [Machine("a", 0.9, 100)]),
            new RecordedKind(Kind, [new RecordedMachine("a", "c", [])])];
        foreach (RecordedKind? kind in without)
            // twice as fast as the machine that was recorded
            Assert.Equal(isWrong, Check(kind).Look(3, () => (0.9, 200), Beside(ratio)) is not null);
        Assert.Contains(
            "beside: 0.33, expected at least 0.90", Beside(0.33).Look(3, Rounds(0))!, StringComparison.Ordinal);
    }

    [Fact]
    public void A_check_says_what_it_found_expected_and_how_to_record()
    {
        string wrong = Check(new RecordedKind(Kind, [Machine("a", 0.9, 100)])).Look(3, () => (0.3, 100), Beside(0))!;
        Assert.All(["generation: 0.300", "at least 0.720", "model 143", "LOWRANK_RECORD_SHARES=1"],
            part => Assert.Contains(part, wrong, StringComparison.Ordinal));
    }

    [Fact]
    public void Rounds_beside_other_work_do_not_count()
    {
        RoundsFound<int> busy = Rounds(0.5).Measure(2, () => 1), quiet = Rounds(0.1).Measure(3, () => 1);
        Assert.Empty(busy.Undisturbed);
        Assert.False(busy.Counts);
        Assert.Equal(3, quiet.Undisturbed.Count);
        Assert.True(quiet.Counts);
    }

    [Theory]
    [InlineData(new[] { 1, 1, 1, 1, 1 }, 5)]
    [InlineData(new[] { 0, 1, 1, 0, 1, 1, 1 }, 7)]
    [InlineData(new[] { 0, 0, 0, 0, 0, 1, 1, 1, 1, 1 }, 10)] // the median of ten is the sixth
    public void Rounds_end_once_the_others_cannot_change_their_median(int[] reached, int done)
    {
        int at = 0;
        var rounds = new MeasuredRounds(TimeSpan.FromMinutes(10), () => () => 0);
        RoundsFound<int> found = rounds.Measure(9, () => reached[at++], so => so.Sum());
        Assert.Equal((done, 1), (found.Done, (int)found.Median(each => each)));
    }

    [Fact]
    public void A_record_is_kept_by_kind_and_by_machine()
    {
        IReadOnlyList<RecordedKind> kinds = RecordedShares.Read(RepositoryFiles.Read(RecordedShares.Source));
        Assert.Equal(RepositoryFiles.Read(RecordedShares.Source), RecordedShares.Write(kinds));
        Assert.Contains(kinds, kind => kind.Kind.Processor == "AuthenticAMD family 26 model 2");
        kinds = RecordedShares.With(kinds, Kind, "here", "c1", "training", new RecordedShare(0.5, 1));
        kinds = RecordedShares.With(kinds, Kind, "here", "c2", "generation", new RecordedShare(0.6, 1));
        kinds = RecordedShares.With(kinds, Kind, "there", "c3", "training", new RecordedShare(0.4, 1));
        RecordedKind found = RecordedShares.Find(RecordedShares.Read(RecordedShares.Write(kinds)), Kind)!;
        Assert.Equal(["here", "there"], found.Machines.Select(machine => machine.Machine));
        Assert.Equal(["generation", "training"], found.Machines[0].Shares.Keys);
        Assert.Equal(0.4, found.Lowest("training", 1)!.Share);
        Assert.Null(RecordedShares.Find(kinds, Kind with { Threads = 1 }));
        Assert.Null(RecordedShares.Find(kinds, Kind with { Bf16Units = "none" }));
        Assert.True((Kind with { Bf16Units = null }).Covers(Kind));
    }

    private static RecordedMachine Machine(string name, double share, double limit) =>
        new(name, "c", new() { ["generation"] = new RecordedShare(share, limit) });

    private static ShareCheck Check(RecordedKind? kind) => new("generation", "B/s", kind, Rounds(0));

    private static RatioCheck Beside(double ratio) => new("beside", 0.9, () => ratio);

    private static MeasuredRounds Rounds(double others) => new(TimeSpan.FromMilliseconds(1), () => () => others);
}
