using Microsoft.Extensions.Logging;

namespace LowRank.Server;

/// <summary>Gives what ASP.NET Core says to the server's one logger, from warnings on: what it says of each request
/// would be said twice.</summary>
internal sealed class ServerLoggers(ILogger logger) : ILoggerFactory
{
    /// <summary>It, as the host asks for it.</summary>
    public ILoggerFactory AsFactory() => this;

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new Serious(logger);

    /// <inheritdoc/>
    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("The server has one logger, that of its options.");

    /// <inheritdoc/>
    public void Dispose()
    {
        // The logger is its maker's.
    }

    private sealed class Serious(ILogger logger) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => logger.BeginScope(state);

        public bool IsEnabled(LogLevel level) => level >= LogLevel.Warning && logger.IsEnabled(level);

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(level)) logger.Log(level, id, state, exception, formatter);
        }
    }
}
