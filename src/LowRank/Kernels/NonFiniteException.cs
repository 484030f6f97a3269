namespace LowRank;

/// <summary>What was computed or read is not finite, NaN or infinity, and no answer can be made of it. Says where it
/// arose, and what to do.</summary>
public sealed class NonFiniteException : Exception, IWorded
{
    private readonly Words message;
    private Wording? wording;

    /// <summary>Reports it.</summary>
    /// <param name="message">What is not finite, where that began, what to do.</param>
    public NonFiniteException(string message) : this(Words.Plain(message)) { }

    /// <inheritdoc cref="NonFiniteException(string)"/>
    public NonFiniteException(Words message) => this.message = message;

    /// <inheritdoc/>
    public override string Message => message.In(wording);

    /// <inheritdoc/>
    public void Word(Wording wording) => this.wording = wording;
}
