using System.Collections;
using LowRank.Generation;
using static LowRank.Tests.Generation.Constraints.ConstraintCases;

namespace LowRank.Tests.Generation.Constraints;

/// <summary>Constraints that take long: others do not wait for them.</summary>
public sealed class SlowConstraintTests
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_that_is_slow_to_compile_holds_up_no_other()
    {
        TokenVocabulary vocabulary = TokenVocabulary.Of(
            [.. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value })], []);
        var slow = new SlowTexts();
        Task<TokenConstraint> first = Task.Run(() => new LiteralPart(slow).Compile(vocabulary), Token);
        await slow.Begun.Task.WaitAsync(Longest, Token);
        TokenConstraint other = await Task.Run(() => TextConstraint.Text("a").Compile(vocabulary), Token)
            .WaitAsync(Longest, Token);
        Assert.True(other.Accepts("a"));
        Assert.False(first.IsCompleted);
        slow.Goes.Set();
        Assert.True((await first).Accepts("slow"));
    }

    [Fact]
    public async Task One_that_many_ask_for_at_once_is_compiled_once_and_one_that_cannot_be_is_refused_to_all()
    {
        TokenVocabulary vocabulary = TokenVocabulary.Of([new[] { (byte)'a' }, new[] { (byte)'b' }], []);
        using var together = new Barrier(8);
        Task<T>[] All<T>(Func<T> ask) => [.. Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
        {
            together.SignalAndWait(Token);
            return ask();
        }, Token, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        TokenConstraint[] made =
            await Task.WhenAll(All(() => TextConstraint.Regex("(a|b)*").Compile(vocabulary)));
        Assert.Single(made.Distinct());
        foreach (Task<TokenConstraint> refused in All(() => TextConstraint.Text("c").Compile(vocabulary)))
            await Assert.ThrowsAsync<InputException>(() => refused);
        Assert.Throws<InputException>(() => TextConstraint.Text("c").Compile(vocabulary));
    }

    [Fact]
    public async Task A_models_tokens_are_read_once_whoever_asks_first()
    {
        using var talking = new TalkingModel();
        talking.Save();
        await using LanguageModel model =
            await LanguageModel.LoadAsync(talking.Path, new() { Threads = 1 }, null, Token);
        OpenedModel opened = await model.Do(_ => model.OpenBase(), Token);
        using var together = new Barrier(8);
        TokenConstraint?[] made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
        {
            together.SignalAndWait(Token);
            return opened.Compile(TextConstraint.Regex("[a-f]+"));
        }, Token, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        Assert.Single(made.Distinct());
    }

    [Fact]
    public async Task A_mask_that_takes_long_is_found_aside_while_texts_go_on()
    {
        TokenConstraint constraint = Laborious.Compile(Bytes);
        ConstraintState state = constraint.Start(), twin;
        Task found = Task.CompletedTask;
        using (var held = new Held(constraint.AsideGate))
        {
            for (int i = 0; found.IsCompleted && i < 100; i++)
            {
                Assert.True(state.TryAdd("ab c"[i % 4]));
                found = state.Prepare();
            }
            twin = state.Clone();
            Assert.False(found.IsCompleted);
            Assert.Same(found, state.Prepare());
            Assert.Same(found, twin.Prepare()); // the same mask
            ConstraintState other = constraint.Start();
            Assert.True(other.TryAdd('a') && other.Prepare().IsCompleted && other.TryAdd('b'));
            Assert.False(found.IsCompleted);
        }
        await found.WaitAsync(Longest, Token);
        Assert.True(state.Prepare().IsCompleted);
        Assert.Equal(Enumerable.Range(0, 257).Where(token => state.Clone().TryAdd(token)), Allowed(state, 257));
        Assert.True(twin.Prepare().IsCompleted);
        Assert.Equal(Allowed(twin, 257), Allowed(state, 257));
    }

    [Fact]
    public void States_that_are_forgotten_while_a_mask_is_found_change_nothing()
    {
        TokenConstraint other = Laborious.Compile(TokenVocabulary.Of(
            [.. Enumerable.Range(0, 256).Select(value => (ReadOnlyMemory<byte>)new[] { (byte)value }), default],
            [256]));
        ConstraintState kept = Laborious.Compile(Bytes).Start(), forgotten = other.Start();
        var random = new Random(2);
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal(Allowed(kept, 257), Allowed(forgotten, 257));
            int token = random.Next(3) == 0 ? ' ' : random.Next('a', 'f');
            Assert.Equal(kept.TryAdd(token), forgotten.TryAdd(token));
            if (i % 3 == 0) other.Forget();
        }
    }

    /// <summary>Counts in three loops within each other, so that a text has hundreds of readings.</summary>
    internal static TextConstraint Laborious { get; } = TextConstraint.Repeat(TextConstraint.Repeat(
        TextConstraint.Repeat(TextConstraint.Regex("[a-z ]{1,3}"), 0, 20), 0, 20), 0, 20);

    /// <summary>Holds a lock on a thread of its own.</summary>
    internal sealed class Held : IDisposable
    {
        private readonly ManualResetEventSlim taken = new(), goes = new();
        private readonly Thread thread;

        public Held(Lock gate)
        {
            thread = new Thread(() =>
            {
                lock (gate)
                {
                    taken.Set();
                    goes.Wait();
                }
            });
            thread.Start();
            taken.Wait();
        }

        public void Dispose()
        {
            goes.Set();
            thread.Join();
        }
    }

    // One text, which is there when it is told to.
    private sealed class SlowTexts : IReadOnlyList<string>
    {
        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ManualResetEventSlim Goes { get; } = new();

        public string this[int index] => "slow";

        public int Count => 1;

        public IEnumerator<string> GetEnumerator()
        {
            Begun.TrySetResult();
            Goes.Wait(Longest);
            yield return "slow";
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
